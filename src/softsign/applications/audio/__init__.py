"""Sound: a softsign saturator whose harmonics do not fold back, in blocks of any length.

`Waveshaper` is all of it; docs/applications/audio.md says what it is for, why it works and how well.

Examples
--------
>>> import numpy as np
>>> from softsign.applications.audio import Waveshaper
>>> shaper = Waveshaper(drive_db=6.0, antialias="none")
>>> print(shaper.process(np.array([0.0, 0.5, -1.0])))
[ 0.          0.49940709 -0.66613942]
"""

from softsign.applications.audio.shaper import Waveshaper

__all__ = ["Waveshaper"]
