"""What networks of this package learn from: handwritten digits, drawn shapes, and data sets in files."""
