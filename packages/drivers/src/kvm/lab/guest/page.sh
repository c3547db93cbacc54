#!/bin/sh
# Keeps the web page, its JSON twin and the screen up to date. They live in memory: they answer even while a disk is slow.
export PATH=/bin:/sbin:/usr/bin:/usr/sbin
name=$(cat /etc/hostname)
boot=$(cat /proc/sys/kernel/random/boot_id)
kernel=$(uname -r)
short_boot=${boot%%-*}
head=$(cat /etc/lab/page-head.html)

while [ ! -e /run/stopping ]; do
  state=starting step=0 hash= boot_check='checking the chain'
  rows=0 amount=0 integrity=
  [ -e /run/lab/chain ] && . /run/lab/chain
  [ -e /run/lab/database ] && . /run/lab/database
  address=none
  [ -e /run/lab/address ] && read -r address </run/lab/address
  read -r up idle </proc/uptime
  seconds=${up%%.*}

  if [ -e /run/lab/has-database ]; then
    database_json="{\"rows\":$rows,\"amount\":$amount,\"integrity\":\"$integrity\"}"
    [ "$integrity" = ok ] && tone=good || tone=bad
    [ -e /run/lab/database ] || { tone=wait; integrity=starting; }
    database_card="<section><h2>Database</h2><p class=number>$rows <small>orders</small></p><p><b class=$tone>$integrity</b> total $amount</p></section>"
  else
    database_json=null database_card=
  fi
  case "$state" in ok) tone=good ;; starting) tone=wait ;; *) tone=bad ;; esac

  cat >/run/www/status.new <<JSON
{"machine":"$name","boot":"$boot","uptimeSeconds":$up,"address":"$address","kernel":"$kernel","chain":{"state":"$state","step":$step,"hash":"$hash","bootCheck":"$boot_check"},"database":$database_json}
JSON
  cat >/run/www/index.new <<HTML
<!doctype html><html lang=en><title>$name</title>$head
<header><i></i><h1>$name</h1><p>running for $((seconds / 60)) min $((seconds % 60)) s</p></header>
<main>
<section><h2>Chain of records</h2><p class=number>$step <small>records</small></p><p><b class=$tone>$state</b> at boot: $boot_check</p></section>
$database_card
<section><h2>This machine</h2><dl><dt>address<dd>$address<dt>boot<dd>$short_boot<dt>kernel<dd>${kernel%%-*}</dl></section>
</main>
<footer>newest record <code>$hash</code></footer></html>
HTML
  mv /run/www/status.new /run/www/status.json
  mv /run/www/index.new /run/www/index.html
  {
    printf '\033[2J\033[H\033[?25l\n\n   \033[1;37;44m  %s  \033[0m\n\n' "$name"
    printf '   chain      \033[1m%s\033[0m records, %s (at boot: %s)\n' "$step" "$state" "$boot_check"
    [ -e /run/lab/has-database ] && printf '   database   \033[1m%s\033[0m orders, %s\n' "$rows" "$integrity"
    printf '   address    %s\n   boot       %s\n   running    %s s\n' "$address" "$boot" "$seconds"
  } >/dev/tty1
  usleep 1200000
done
while :; do sleep 60; done
