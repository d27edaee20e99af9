"""The kinds of provider that exist, by the name that the configuration gives them."""

from collections.abc import Mapping, Sequence

from adapters.kinds import kind_named
from adapters.providers.adyen import ADYEN
from adapters.providers.base import Provider, Secret
from adapters.providers.configuration import ProviderSettings
from adapters.providers.custom import CUSTOM, STANDARD_WEBHOOKS
from adapters.providers.flutterwave import FLUTTERWAVE_V3, FLUTTERWAVE_V4
from adapters.providers.mollie import MOLLIE
from adapters.providers.mpesa import MPESA
from adapters.providers.paystack import PAYSTACK
from adapters.providers.razorpay import RAZORPAY
from adapters.providers.sevi import SEVI
from adapters.providers.shopify import SHOPIFY
from adapters.providers.signed import Kind
from adapters.providers.square import SQUARE
from adapters.providers.stripe import STRIPE
from adapters.providers.woocommerce import WOOCOMMERCE

ENTRY_POINTS = "order_ledger.providers"
KINDS: Mapping[str, Kind] = {
    "sevi": SEVI,
    "standard-webhooks": STANDARD_WEBHOOKS,
    "stripe": STRIPE,
    "paystack": PAYSTACK,
    "flutterwave-v3": FLUTTERWAVE_V3,
    "flutterwave-v4": FLUTTERWAVE_V4,
    "mpesa": MPESA,
    "woocommerce": WOOCOMMERCE,
    "shopify": SHOPIFY,
    "adyen": ADYEN,
    "square": SQUARE,
    "razorpay": RAZORPAY,
    "mollie": MOLLIE,
    "custom": CUSTOM,
}


def kind_of(name: str) -> Kind:
    """A kind by its name: one of ours, or one that an installed package offers.

    Raises `UnknownKind` where there is none, or what a package offers is none.
    """
    return kind_named(name, KINDS, Kind, ENTRY_POINTS)


def make_provider(name: str, settings: ProviderSettings, secrets: Sequence[Secret]) -> Provider:
    """The provider that a table configures, with its live secrets, the newest first."""
    return kind_of(settings.kind).make(name, settings, secrets)
