"""The decision lab (决策实验室): history planned anew under other assumptions, to see what a change would bring.

Who uses it: the vehicle office asks; finance, auditors and leaders read.
Tables: ``lab_study``.
States: QUEUED > RUNNING > DONE, FAILED; CANCELLED from the first two.
Never: a plan that its judge refuses in a result, a study changed after its end, a figure without the days and assumptions behind it.
"""
