"""Reads a Parquet file as a stranger would and prints what it is: rows, columns with their types, and exact sums.

usage: parquet_sums.py FILE COLUMN...
"""

import json
import sys

import pyarrow.compute as compute
import pyarrow.parquet as parquet


def main() -> None:
    path, columns = sys.argv[1], sys.argv[2:]
    file = parquet.ParquetFile(path)
    table = file.read()
    table.validate(full=True)
    # Python's decimals add up to any length with enough digits; pyarrow's own sums may not leave the column's type.
    from decimal import Decimal, getcontext

    getcontext().prec = 100
    sums = {
        name: format(sum((value for value in table[name].to_pylist() if value is not None), Decimal(0)).normalize(), "f")
        for name in columns
    }
    types = {field.name: str(field.type) for field in table.schema}
    nulls = {name: compute.sum(compute.is_null(table[name])).as_py() or 0 for name in columns}
    print(json.dumps({"rows": table.num_rows, "groups": file.num_row_groups, "types": types, "sums": sums, "nulls": nulls}))


main()
