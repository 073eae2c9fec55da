"""Are posteriors right? Simulation-based calibration."""
