"""What can be done at the console: one module for each thing, asked by pages and API alike.

An operation gets an :class:`~gambeson.console.office.Office` (who asks, and what they may) and plain values; it raises
:class:`~gambeson.console.office.RefusedError` for what is not allowed or not possible. It knows neither HTTP nor HTML.
"""
