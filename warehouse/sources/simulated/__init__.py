"""Write the simulated lender: borrowers, statements, outcomes, an economy and one known shock, all from a seed."""
