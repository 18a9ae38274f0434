"""The metric agent (D-MA) as pure logic: its reports, and when an update is due."""
