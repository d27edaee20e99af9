"""What is kept of a refused delivery is enough to verify it again, and is never a token."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from adapters.deliveries.refusals import kept_headers
from adapters.providers import Verified, kind_of
from adapters.providers.configuration import ProviderSettings
from tests.adapters.providers.tables import (
    KINDS,
    MAPPING,
    NEEDS,
    configured,
    sample,
    secret_of,
)

BY_TOKEN = ("sevi", "flutterwave-v3", "mpesa")


def table(kind: str, **more: Any) -> ProviderSettings:
    full = {"kind": kind, "secrets": [secret_of(kind, "new")]} | NEEDS.get(kind, {}) | more
    return kind_of(kind).settings.model_validate(full)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in BY_TOKEN])
def test_a_signed_delivery_verifies_with_what_is_kept_of_it(kind: str) -> None:
    names = kept_headers(table(kind, keep_refused=True))
    provider = configured(kind)
    request = sample(kind, provider)
    kept = [(name, value) for name, value in request.headers if name in names]
    again = replace(request, headers=kept, path="", query=b"", client=None)
    assert isinstance(provider.verify(again), Verified)


@pytest.mark.parametrize("kind", BY_TOKEN)
def test_who_proves_itself_by_a_token_cannot_have_refused_deliveries_kept(kind: str) -> None:
    assert not table(kind).keep_refused
    with pytest.raises(ValidationError, match=r"keep_refused: .* never stored; take keep_refused"):
        table(kind, keep_refused=True)


@pytest.mark.parametrize(
    "verify",
    [
        {"scheme": "token", "header": "X-Token"},
        {"scheme": "secret-path"},
        {"scheme": "hmac", "header": "Authorization"},
        {"scheme": "timed", "header": "cookie"},
    ],
)
def test_no_more_can_a_custom_one_that_may_send_a_token(verify: dict[str, str]) -> None:
    fitting = {"kind": "custom", "verify": verify, **MAPPING, "secrets": ["abc"]}
    settings = kind_of("custom").settings
    assert settings.model_validate(fitting).keep_refused is False
    with pytest.raises(ValidationError, match="never stored"):
        settings.model_validate(fitting | {"keep_refused": True})


@pytest.mark.parametrize("scheme", ["hmac", "timed", "standard-webhooks"])
def test_custom_schemes_that_sign_keep_what_they_need(scheme: str) -> None:
    verify: dict[str, str] = {"scheme": scheme}
    if scheme != "standard-webhooks":
        verify["header"] = "X-Signature"
    if scheme == "hmac":
        verify |= {"message": "{id}.{timestamp}.{body}", "timestamp_header": "X-Time"}
        verify |= {"id_header": "X-Id"}
    secret = secret_of("standard-webhooks" if scheme == "standard-webhooks" else "custom", "new")
    more: dict[str, Any] = {**MAPPING, "verify": verify}
    settings = kind_of("custom").settings.model_validate(
        {"kind": "custom", **more, "secrets": [secret], "keep_refused": True}
    )
    provider = configured("custom", secret, **more)
    request = sample("custom", provider)
    kept = [(n, v) for n, v in request.headers if n in kept_headers(settings)]
    assert isinstance(provider.verify(replace(request, headers=kept)), Verified)
