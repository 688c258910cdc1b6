"""The simulation behind docs/calibration.md: what is simulated, and how it is drawn."""
