INSERT INTO notes VALUES (3, 'three');

-- The second one.
  SELCT 1;
DELETE FROM notes;
