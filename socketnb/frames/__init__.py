"""DataFrames of traces, and of the messages, turns and sessions that are computed from traces.

`query.py` reads recordings, `trace_frames.py` has the methods of the hub and of recordings, `derived.py` computes,
`columns.py` has the tables of columns, `accessor.py` is `df.chat`, `exports.py` and `imports.py` write and read files,
and `table.py` converts between Arrow and pandas.
"""
