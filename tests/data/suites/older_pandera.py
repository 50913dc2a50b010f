"""Orders as a team with an older pandera describes them; run with pandera 0.20.4 on pandas."""

import pandera as pa
from pandera.typing import Series

rows = pa.DataFrameSchema(
    {
        "order_id": pa.Column(int, [pa.Check.ge(1), pa.Check(lambda ids: ids % 2 == 0, name="even")], unique=True),
        "^x_.*": pa.Column(float, regex=True),
    },
    index=pa.Index(int),
)


class Orders(pa.DataFrameModel):
    """Orders, one row each."""

    status: Series[str] = pa.Field(isin=["open", "paid"], coerce=True)
    amount: Series[float] = pa.Field(ge=0, le=5, nullable=True)
    order_id: Series[int] = pa.Field(ge=1, unique=True)

    @pa.check("order_id")
    def even(cls, ids):
        """No rule of a row's own can say this."""
        return ids % 2 == 0
