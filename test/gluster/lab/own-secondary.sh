#!/bin/bash
# Stands where the forced command of a session's keys is, in a box: gsyncd on the secondary is this project's, the rest
# is the stock wrapper's or runs as asked. @REPO@, @NODE@ and @STOCK@ are filled in by the lab.
asked=${SSH_ORIGINAL_COMMAND:-}
case "$asked" in
  '') exec @STOCK@ "$@" ;;
  *' secondary '*) set -f; set -- $asked; shift; exec @NODE@ @REPO@/bin/gsyncd-ts.js "$@" ;;
  *) exec bash -c "$asked" ;;
esac
