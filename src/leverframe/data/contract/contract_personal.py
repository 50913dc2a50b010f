"""Whether a column seems to be about a person: by its name and by what its values look like. A guess, and said to be one."""

import re

import polars as pl

LOOKED_AT_MAX = 10_000
SHARE_MIN = 0.8
"""So many of the values must have the form."""

_NAMES = (
    ("an e-mail address", r"e_?mail"),
    ("a telephone number", r"phone|mobile|tel|telephone"),
    ("a person's name", r"(first|last|full|sur|family|given|middle|maiden)_?name|passenger|patient|customer_name|driver_name"),
    ("a postal address", r"address|street|zip|zipcode|postcode|postal_code|plz"),
    ("a date of birth", r"birth|birthday|birthdate|dob|date_of_birth"),
    ("an identity number", r"ssn|social_security|passport|national_id|tax_id|nino|id_card|driver_?licen[cs]e"),
    ("bank details", r"iban|account_number|card_number|credit_card|pan|cvv"),
    ("an IP address", r"ip|ip_address|client_ip|remote_addr"),
    ("a secret", r"password|passwd|secret|token|api_key"),
)
_VALUES = (
    ("an e-mail address", r"^[^@\s]+@[^@\s]+\.[A-Za-z]{2,}$"),
    ("an IP address", r"^(\d{1,3}\.){3}\d{1,3}$|^[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{0,4}){3,7}$"),
    ("bank details (an IBAN)", r"^[A-Z]{2}\d{2}[A-Z0-9]{11,30}$"),
    ("an identity number (a US SSN)", r"^\d{3}-\d{2}-\d{4}$"),
    ("a telephone number", r"^\+?\d{1,3}[ \-(]\(?\d{2,4}\)?[ \-)]?\d{3,4}[ \-]?\d{2,4}$|^\+\d{9,15}$"),
)


def personal_guess(name: str, values: pl.Series) -> str:
    """What personal thing the column seems to hold, and why; empty when it seems to hold none.

    Parameters
    ----------
    values: without nulls; the first 10,000 are looked at.

    >>> personal_guess("contact", pl.Series(["ana@example.org", "bo@example.org"]))
    'its values look like an e-mail address'
    >>> personal_guess("origin", pl.Series(["JFK"]))
    ''
    """
    spelt = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    for what, pattern in _NAMES:
        if re.search(rf"(^|_)({pattern})(_|$)", spelt):
            return f"its name says {what}"
    if values.dtype != pl.String or values.len() == 0:
        return ""
    looked = values.head(LOOKED_AT_MAX)
    for what, pattern in _VALUES:
        share = looked.str.contains(pattern).mean()
        if isinstance(share, float) and share >= SHARE_MIN:
            return f"its values look like {what}"
    return ""
