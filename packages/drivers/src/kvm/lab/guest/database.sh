#!/bin/sh
# A small shop: every transaction adds an order and its amount to the totals, on a file system of its own. Rows and totals
# that disagree would prove that a transaction was torn.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
state=/run/lab/database
file=/database/shop.db
[ -e /run/lab/has-database ] || while :; do sleep 3600; done
rm -f $state

sql() {
  sqlite3 -batch -noheader -separator ' ' -cmd '.timeout 2000' $file "$1"
}
sql 'PRAGMA synchronous=FULL;
CREATE TABLE IF NOT EXISTS orders(id INTEGER PRIMARY KEY, item TEXT NOT NULL, amount INTEGER NOT NULL, boot TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS totals(id INTEGER PRIMARY KEY CHECK (id = 1), orders INTEGER NOT NULL, amount INTEGER NOT NULL);
INSERT OR IGNORE INTO totals VALUES (1, 0, 0);' >/dev/null 2>&1
boot=$(cat /proc/sys/kernel/random/boot_id)
round=0
while [ ! -e /run/stopping ]; do
  [ $((round % 30)) = 0 ] && integrity=$(sql 'PRAGMA integrity_check;' 2>&1 | head -n 1)
  amount=$((round * 37 % 900 + 100))
  row=$(sql "BEGIN IMMEDIATE;
INSERT INTO orders(item, amount, boot) VALUES ('item $((round % 12))', $amount, '$boot');
UPDATE totals SET orders = orders + 1, amount = amount + $amount;
COMMIT;
SELECT t.orders, t.amount, (SELECT count(*) FROM orders) = t.orders AND (SELECT sum(amount) FROM orders) = t.amount FROM totals t;" 2>&1 | head -n 1)
  set -- $row
  case "$integrity:$3" in
    ok:1) verdict=ok ;;
    ok:0) verdict='rows and totals disagree' ;;
    *) verdict="$integrity $row" ;;
  esac
  printf "rows=%s amount=%s integrity='%s'\n" "${1:-0}" "${2:-0}" "$(printf %s "$verdict" | tr -d "'\"\\\\<>&")" >$state.new && mv $state.new $state
  round=$((round + 1))
  usleep 2000000
done
while :; do sleep 60; done
