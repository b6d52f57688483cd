"""DataFrames of traces, and of the messages, turns and sessions that are computed from traces.

`query.py` reads recordings, `derived.py` computes frames, `columns.py` defines their columns, `accessor.py` is
`df.chat`, `exports.py` and `imports.py` write and read files, and `table.py` converts between Arrow and pandas.
"""
