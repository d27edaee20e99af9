"""The `[effects.NAME]` tables: what all kinds share, and the checks that name key and fix."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator

from adapters.providers.configuration import Name, ProviderSettings
from domain.log import Position
from domain.order import Consequence, News

Event = Literal["Delivered", "PaymentFailed", "ReviewRequired"]


def _position(text: str) -> str:
    from adapters.storage.log import PARTITION  # its library takes a tenth of a second

    if Position.parse(text).partition != PARTITION:
        raise ValueError(f"there is one partition, {PARTITION}")
    return text


class EffectSettings(BaseModel):
    """What every kind of target can be told. Kinds that need more derive from it."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    kind: str = Field(description="what it does: webhook, command or sevi-order-deliver")
    on: tuple[Event, ...] = Field(
        ("Delivered", "PaymentFailed", "ReviewRequired"),
        min_length=1,
        description="the events that it wants",
    )
    store: Name | None = Field(None, description="only this store's orders; all where left out")
    tries: int = Field(20, ge=1, le=1000, description="attempts before an effect is dead")
    begin_after: Annotated[str, AfterValidator(_position)] | None = Field(
        None,
        description="where it begins when it is new, such as 0-0 for the log's beginning; "
        "at the log's end where left out",
    )

    @field_validator("on")
    @classmethod
    def _each_once(cls, events: tuple[Event, ...]) -> tuple[Event, ...]:
        if len(set(events)) < len(events):
            raise ValueError("an event stands there twice")
        return events

    def problem(self, providers: Mapping[str, ProviderSettings]) -> str | None:
        """What is wrong between this table and the providers', with the fix, if anything is."""
        return None

    def wants(self, event: Consequence, store: str, cause: News | None) -> bool:
        """Whether an event is one for this target; `cause` is the news that it names."""
        return type(event).__name__ in self.on and self.store in (None, store)
