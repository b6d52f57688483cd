"""DataFrames of traces: the table itself, and messages, turns and sessions computed from it.

`query.py` reads recordings, `derived.py` computes, `accessor.py` is `df.chat`, `exports.py` and `imports.py` write and
read files, `table.py` converts between Arrow and pandas.
"""
