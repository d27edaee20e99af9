"""What is wrong with an input, in words that say what to do."""

from pydantic_core import ErrorDetails

CURRENCY = "^[A-Z]{3}$"


def said(problem: ErrorDetails) -> str:
    """The message of a validation error, without what is the validator's own."""
    match problem["type"]:
        case "string_pattern_mismatch" if problem.get("ctx", {}).get("pattern") == CURRENCY:
            return "three capital letters are wanted, such as KES"
        case "model_attributes_type" | "dict_type" | "model_type":
            return "a JSON object is wanted"
    return problem["msg"].removeprefix("Value error, ")
