"""The lessons: sources in py:percent form, and the notebooks built from them by ``make notebooks``."""
