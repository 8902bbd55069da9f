"""The path to new energy: shares of stock and of purchases against targets, and a renewal plan by optimizer.

Who uses it: the bureau's vehicle office plans; leaders, finance and auditors read.
Tables: ``renewal_run``.
States: none; a run is kept as it was computed.
Never: a plan that its judge refuses, a target shown as met that is not, a run changed afterwards.
"""
