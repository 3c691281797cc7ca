"""What was observed: records, the log that holds them, columns (each declared once) and tables, views of the log.

Imports no torch. To add a column or a table: `lrbench/results/columns/__init__.py`.
"""
