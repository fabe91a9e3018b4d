"""Softsign in feedback loops: a soft saturation with its describing function, sliding modes, an actuator.

::

    describing_function(A, limit, width)   of limit * softsign(x / width), for oscillations of amplitude A
    SoftsignSaturation(limit, width)       the same as a nonlinearity for python-control's functions
    SlidingMode(gain, width)               u = -gain softsign(s / width), and how large s can stay
    SmoothActuator(limit)                  limit softsign(v / limit), and the command for what it is to do

docs/applications/control.md says what each is for, and when not to use it, with proofs and an example.
python-control takes `SoftsignSaturation` where it takes its own nonlinearities; nothing here imports it.

Examples
--------
>>> from softsign.applications import control
>>> print(control.describing_function([0.0, 1.0, 100.0]).round(6))
[1.       0.546479 0.012539]
>>> law = control.SlidingMode(gain=12, width=0.05)
>>> print(law.control(0.05), law.ultimate_bound(disturbance=8))
-6.0 0.1
"""

from softsign.applications.control import describing, laws
from softsign.applications.control.describing import *
from softsign.applications.control.laws import *

__all__ = []
__all__ += describing.__all__
__all__ += laws.__all__
