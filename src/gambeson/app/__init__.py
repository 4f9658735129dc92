"""The only place that knows everything: wires store, capabilities, console and processes together.

``place`` where things lie in the data directory · ``setup`` the first start: store, keys, sample organisation ·
``publishing`` what the worker puts into a snapshot · ``plan`` the settings as a plan for the supervisor ·
``children`` the mains of the processes · ``up`` starts it all · ``installation`` the command line's way to it.
"""
