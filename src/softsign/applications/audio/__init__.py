"""Sound: a softsign saturator whose harmonics do not fold back, in blocks of any length.

`Waveshaper` shapes blocks, `process_file` files; docs/applications/audio.md says what they are for, why they
work and how well.

Examples
--------
>>> import numpy as np
>>> from softsign.applications.audio import Waveshaper
>>> shaper = Waveshaper(drive_db=6.0, antialias="none")
>>> print(shaper.process(np.array([0.0, 0.5, -1.0])))
[ 0.          0.49940709 -0.66613942]
"""

from softsign.applications.audio.files import FileReport, process_file
from softsign.applications.audio.shaper import Waveshaper

__all__ = ["FileReport", "Waveshaper", "process_file"]
