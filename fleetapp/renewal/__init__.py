"""The path to new energy: shares against targets, forecast, renewal plan by optimizer."""
