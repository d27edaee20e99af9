"""The reference in docs/reference is what the code says today."""

import pytest

from tests.docs.reference import FOLDER, PAGES, command_line, configuration


@pytest.mark.parametrize("name", PAGES)
def test_the_reference_is_the_codes_own(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name](), "run scripts/readme"


def test_nothing_else_stands_in_the_folder() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)


def test_settings_commands_and_kinds_are_in_it() -> None:
    told = configuration()
    for words in (
        "`ORDER_LEDGER_SEAL_SECONDS`",
        "### kind `square`",
        "`notification_url`",
        "whsec_",
    ):
        assert words in told
    told = command_line()
    for words in ("## order-ledger tokens create", "`--store STORE`", "`FILE`", "has to be given"):
        assert words in told
