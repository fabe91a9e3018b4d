"""Where softsign is used: sound, images, fitting, statistics, control.

Each module takes and returns what its field is used to, needs NumPy alone to be imported, and imports the
field's own library (SciPy, soundfile, statsmodels) when a function of it is called.
"""
