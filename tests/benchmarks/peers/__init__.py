"""The same small application on each framework, in the form that is customary there.

Each module has ``make()``, which returns the application, and the same one with sessions.
"""
