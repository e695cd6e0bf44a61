"""Networks of attackers, one a file: each sees a protected image and a first guess, and corrects the guess."""
