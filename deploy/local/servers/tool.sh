# A tool: a program that tests run, and no server. It is there or it is not; its
# file says from where, and where $program is.
port=''

alive() { [ -x "$program" ]; }

start() { alive || die "$name is not there: get it with servers up $name"; }

stop() { :; }
sigkill() { :; }
pause() { :; }
resume() { :; }

run() { exec "$program"; }

state() { if alive; then echo tool; else echo absent; fi; }

pid() { echo -; }
memory() { echo -; }

address() { echo "${name^^}=$program"; }
