"""Forecasts say what a fitted law predicts, and which runs would narrow it most."""
