// The agent as a service of systemd.
import { MUST_BE_MENDED, START_AGAIN } from './exit-code-of.ts'
import { BEFORE_START } from './service-place.ts'
import { SERVICE_FOLDER } from './state-folder.ts'

/**
 * What would give it a view of its own of the file systems is left out, and that is most of what systemd can keep from a service: it has
 * to hold still all that is mounted, to follow the kernel's trace and to read whole disks, and its preparation of the server writes below
 * /boot and /etc. `NoNewPrivileges` would keep sudo from the scripts of others, `ProtectControlGroups` the keeper of a freeze from
 * leaving the group that is killed with the service, `ProtectClock` every disk from being opened, `RestrictSUIDSGID` an initial memory
 * disk from being built, and `MemoryDenyWriteExecute` Node from running at all.
 */
export const serviceUnit = `[Unit]
Description=Understudy agent
Wants=network-online.target
After=network-online.target
# However often it fails, it is started again.
StartLimitIntervalSec=0

[Service]
# While a new program is on trial, the one before it counts its starts, and takes its place again. Otherwise it is not there.
ExecStartPre=-/usr/local/bin/understudy-agent.former ${BEFORE_START}
ExecStart=/usr/local/bin/understudy-agent run
Environment=UNDERSTUDY_AGENT_HOME=${SERVICE_FOLDER}
Restart=on-failure
SuccessExitStatus=${START_AGAIN}
RestartForceExitStatus=${START_AGAIN}
RestartSec=5
# Somebody has to do something first: see \`understudy-agent status\`.
RestartPreventExitStatus=${MUST_BE_MENDED}
CapabilityBoundingSet=~CAP_SYS_BOOT CAP_SYS_TIME CAP_WAKE_ALARM
KeyringMode=private
LockPersonality=yes
RestrictRealtime=yes
SystemCallArchitectures=native

[Install]
WantedBy=multi-user.target
`
