"""Softsign to look at and to learn with: figures and a small network. Needs the extra ``learn``."""
