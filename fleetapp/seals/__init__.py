"""Holiday sealing (封存): campaigns, exceptions, proof, live light."""
