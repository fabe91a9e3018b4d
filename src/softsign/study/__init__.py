"""The training study of Glorot and Bengio (2010), on softsign and others. Needs the extra ``study``."""
