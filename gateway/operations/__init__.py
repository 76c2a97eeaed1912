"""Validated document → prepared operation: everything about it that does not depend on the values of arguments.

prepared_operation   the operation with its root fields; cache: each is prepared once
shapes               which rows it needs, and how the answer is laid out
row_types            struct classes that rows are decoded into; lenient_rows, raw_rows: other ways to decode
completion_compiler  functions from rows to the answer
value_conversion     one value, in both directions
global_ids, cursors, pages   what a connection answers besides values
"""
