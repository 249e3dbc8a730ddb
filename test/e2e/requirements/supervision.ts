// What supervision promises beyond the rows of the contract and of the reliability paper.
import { planned, proved, type Requirement } from './row.ts'

// biome-ignore format: one promise a line
const runs: readonly Requirement[] = [
  proved(3, 'I3-STOP-01', 'I', 'Level A (cgroup v2, and v1 by freezer), B, C and D: each stops what the paper says it does, and names what survives'),
  proved(3, 'I3-STOP-02', 'I', 'The best stop level is picked at start, and shown in `regent doctor` and /readyz'),
  proved(3, 'I3-LIM-01', 'I', 'Memory, CPU, pids and open files are limited where the machine can, and reported honestly where it cannot'),
  proved(3, 'I3-LIM-02', 'I', 'A death at the memory limit says so'),
  proved(3, 'I3-USE-01', 'I', 'CPU, memory, processes and descriptors of each agent in `regent ps`, the API and /metrics'),
  proved(3, 'I3-USE-02', 'I', '/metrics is Prometheus text that a strict reader takes'),
  proved(3, 'I3-USER-01', 'I', 'Where Regent is root, agents run under an account of their own, one per owner if asked, with an environment built from nothing'),
  proved(3, 'I3-PUMP-01', 'I', 'A dead log pump kills nobody and loses nothing; it is told and replaced'),
  proved(3, 'I3-START-01', 'I', 'A hundred starts whose spawner is killed in the middle: none missing, none twice'),
]

// biome-ignore format: one promise a line
const policies: readonly Requirement[] = [
  proved(3, 'I3-DEP-01', 'I', 'An agent waits for what it depends on (started, healthy, exited 0), says for whom, and starts at once when it may'),
  proved(3, 'I3-DEP-02', 'I', 'Starting an agent starts its dependencies; a circle is refused with its members'),
  proved(3, 'I3-HEALTH-01', 'I', 'Liveness and readiness by exec, HTTP, TCP and heartbeat: unhealthy is shown, told and restarted by policy'),
  proved(3, 'I3-STALL-01', 'I', 'The stalled rule is off unless asked for, and acts in steps: warn, nudge, restart; any sign of work ends it'),
  proved(3, 'I3-CRON-01', 'I', 'Schedules: cron with time zone, a policy for missed runs, neither repeated nor lost over a restart of Regent'),
  proved(3, 'I3-BOOT-01', 'I', 'After a reboot the wanted agents start once, unless their policy says not to'),
  proved(3, 'I3-WHY-01', 'I', '`regent show` and the API tell the timeline: each change with its cause, in words'),
]

// biome-ignore format: one promise a line
const doors: readonly Requirement[] = [
  proved(3, 'I3-LOG-01', 'I', '`regent logs` with -f, --since, --grep, --stream, JSON; merged across agents in the order of time'),
  proved(3, 'I3-LOG-02', 'I', 'Logs rotate and are forgotten by size and by age'),
  proved(3, 'I3-RPC-01', 'I', 'The stock supervisorctl works against the socket of home: status, start, stop, restart, pid, signal, with its exit codes'),
  proved(3, 'I3-RPC-02', 'I', 'supervisorctl tail, tail -f, clear and maintail'),
  proved(3, 'I3-RPC-03', 'I', 'supervisorctl reread, update and avail'),
  proved(3, 'I3-IMP-01', 'I', '`regent import` of supervisord.conf with its includes; what does not map is said'),
  proved(3, 'I3-IMP-02', 'I', '`regent import` of ecosystem.config.js and .json; what does not map is said'),
  proved(3, 'I3-IMP-03', 'I', '`regent import` of process-compose.yaml; what does not map is said'),
  proved(3, 'I3-HOST-01', 'I', '`regent startup` writes a systemd unit (KillMode=process, Delegate=yes) or a launchd plist'),
  proved(3, 'I3-HOST-02', 'I', '`regent recover` rebuilds agents and their live runs from run directories when the database is lost'),
  proved(3, 'I3-BACKUP-01', 'I', '`regent backup` of a home in use, and `restore`, lose nothing that was accepted before'),
  proved(3, 'I3-SOAK-01', 'I', '`npm run soak` checks the invariants each second under random faults; a minute of it is part of `npm test`'),
]

// biome-ignore format: one promise a line
const figures: readonly Requirement[] = [
  planned(3, 'I3-PERF-01', 'I', 'Starting 500 agents takes at most 1.2 of supervisord\'s time and 0.7 of pm2\'s, in one run'),
  planned(3, 'I3-PERF-02', 'I', 'A killed child is back in at most 0.7 of pm2\'s median'),
  proved(3, 'I3-PERF-03', 'I', 'At most pm2\'s memory at 500 agents, and under 1 % of one core when idle'),
  proved(3, 'I3-PERF-04', 'I', '1,000 agents: re-adopted within 1 s of process start after kill -9, an API p99 under 100 ms while they start, stopped within grace + 5 s'),
]

export const supervision: readonly Requirement[] = [...runs, ...policies, ...doors, ...figures]
