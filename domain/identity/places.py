"""Time zones and currencies that exist: the IANA database, and ISO 4217 as of 2026."""

from functools import cache
from typing import Final
from zoneinfo import available_timezones

from domain.errors import InvalidInput

CURRENCIES: Final = frozenset(
    """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BHD BIF BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF
    CHW CLF CLP CNY COP COU CRC CUP CVE CZK DJF DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GNF GTQ GYD
    HKD HNL HTG HUF IDR ILS INR IQD IRR ISK JMD JOD JPY KES KGS KHR KMF KPW KRW KWD KYD KZT LAK LBP LKR LRD LSL LYD
    MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN
    PYG QAR RON RSD RUB RWF SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TND TOP TRY TTD
    TWD TZS UAH UGX USD USN UYI UYU UYW UZS VED VES VND VUV WST XAD XAF XAG XAU XBA XBB XBC XBD XCD XCG XDR XOF XPD
    XPF XPT XSU XUA YER ZAR ZMW ZWG
    """.split()  # noqa: SIM905 - a list of 180 quoted codes would be no clearer
)


_time_zones = cache(available_timezones)  # it walks through a directory


def check_time_zone(field: str, name: str) -> str:
    """The name of a time zone; raises InvalidInput."""
    if name not in _time_zones() or name == "localtime":
        raise InvalidInput(field=field, reason="is no IANA time zone, such as Europe/Lisbon")
    return name


def check_currency(field: str, code: str) -> str:
    """The code of a currency; raises InvalidInput."""
    if code not in CURRENCIES:
        raise InvalidInput(field=field, reason="is no ISO 4217 currency, such as EUR")
    return code
