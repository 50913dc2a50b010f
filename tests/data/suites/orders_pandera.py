"""Orders of a shop, as a team that uses pandera would describe them; run with pandera 0.35.0 on Polars."""

import pandera.polars as pa
import polars as pl


class Orders(pa.DataFrameModel):
    """Orders, one row each."""

    order_id: int = pa.Field(unique=True, ge=1)
    customer: str = pa.Field(str_length={"min_value": 3, "max_value": 40})
    status: str = pa.Field(isin=["open", "paid", "sent"])
    amount: float = pa.Field(gt=0, le=10_000, nullable=True)
    discount: float = pa.Field(in_range={"min_value": 0, "max_value": 1, "include_max": False}, nullable=True)
    code: str = pa.Field(str_matches=r"[A-Z]{2}[0-9]{4}", raise_warning=True)
    note: str = pa.Field(str_contains="kept", str_startswith="well", nullable=True)
    items: pl.UInt8 = pa.Field(ne=0)
    placed_at: pl.Datetime

    @pa.check("customer")
    def spelled(cls, data):
        """No rule of a row's own can say this."""
        return data.lazyframe.select(pl.col(data.key).str.to_lowercase() == pl.col(data.key))

    class Config:
        strict = True
        unique = ["customer", "placed_at"]
