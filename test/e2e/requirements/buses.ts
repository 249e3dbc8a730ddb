// What the issue of buses and PostgreSQL promises beyond the rows of the contract and of the reliability paper.
import { proved, type Requirement } from './row.ts'

// biome-ignore format: one promise a line
const adapters: readonly Requirement[] = [
  proved(4, 'I4-BUS-01', 'I', 'Redis: Streams with groups for durable inboxes and pub/sub for the seeds\' channels; passes the conformance suite on a real Redis'),
  proved(4, 'I4-BUS-02', 'I', 'Redis Cluster behind the same port'),
  proved(4, 'I4-BUS-03', 'I', 'Kafka: groups, commit after work; passes the conformance suite on a real broker'),
  proved(4, 'I4-BUS-04', 'I', 'Kafka with SASL PLAIN, SCRAM, OAUTHBEARER with MSK IAM tokens, and TLS with a custom CA'),
  proved(4, 'I4-BUS-05', 'I', '`check_hostname` and `verify_mode` are obeyed only under REGENT_ALLOW_INSECURE_TLS=1, else ignored with a warning'),
  proved(4, 'I4-BUS-06', 'I', 'RabbitMQ: confirms, prefetch, quorum queues where offered, dead-letter exchange; passes the conformance suite'),
  proved(4, 'I4-BUS-07', 'I', 'STOMP 1.1 and 1.2 over TCP and TLS with client-individual ack and heart-beats; passes the suite against ActiveMQ and RabbitMQ'),
  proved(4, 'I4-BUS-08', 'I', 'Every bus: order per key, redelivery after a crash, a dead letter with its reason after 5 tries'),
  proved(4, 'I4-BUS-09', 'I', 'Every bus reconnects with jitter, pushes back instead of growing, carries 1 MiB and closes under load'),
  proved(4, 'I4-BUS-10', 'I', 'What an adapter cannot do is a flag that the suite reads'),
  proved(4, 'I4-BUS-11', 'I', 'Through the adapter at least 0.8 of the bare client\'s throughput, and less than 1 ms of added median latency'),
  proved(4, 'I4-BUS-12', 'I', 'The embedded bus with durable inboxes carries at least 10,000 messages/s end to end'),
  proved(4, 'I4-BUS-13', 'I', 'Strangers\' clients (redis-cli, Kafka\'s console tools, amqp-publish, a Python STOMP client) work by the README\'s lines'),
  proved(4, 'I4-BUS-14', 'I', '`npm run services` installs and starts all brokers and PostgreSQL on loopback scratch ports, and stops them again'),
]

// biome-ignore format: one promise a line
const operations: readonly Requirement[] = [
  proved(4, 'I4-OPS-01', 'I', '`regent bus publish` on any configured broker, with key, headers and id; the same idempotency key has one message id'),
  proved(4, 'I4-OPS-02', 'I', '`regent bus publish --agent` puts the message on the agent\'s own channel as the contract\'s envelope, for whoever may use the agent'),
  proved(4, 'I4-OPS-03', 'I', '`regent bus tail` follows a topic of any configured broker, from now or from the start, or an agent\'s answers'),
  proved(4, 'I4-OPS-04', 'I', '`regent bus topics` names the topics of a broker with subscribers and waiting messages'),
  proved(4, 'I4-OPS-05', 'I', '`regent bus status` names each broker without secrets, whether and since when it is connected, its lag and its dead letters'),
  proved(4, 'I4-OPS-06', 'I', '`regent bus dead list|show|requeue|drop` works on the dead letters of every broker'),
  proved(4, 'I4-OPS-07', 'I', 'Dead messages of an agent\'s inbox are listed, requeued and dropped by its owner; each is told in the journal, with who'),
  proved(4, 'I4-OPS-08', 'I', '/readyz, `regent doctor` and /metrics name each broker, its state, lag and dead letters'),
  proved(4, 'I4-OPS-09', 'I', 'A lost and a restored broker are events; a frozen one is told within seconds'),
  proved(4, 'I4-OPS-10', 'I', 'Nobody without the right reads or writes topics, dead letters or agents\' channels'),
]

// biome-ignore format: one promise a line
const outbox: readonly Requirement[] = [
  proved(4, 'I4-OUT-01', 'I', 'Events that a relay has not sent are not forgotten before 100,000 rows or 256 MiB of them wait'),
  proved(4, 'I4-OUT-02', 'I', 'Beyond that only health and log events are dropped, and counted; lifecycle events never'),
  proved(4, 'I4-OUT-03', 'I', 'Sent in order per key, each counted as sent only once the broker has confirmed it'),
  proved(4, 'I4-OUT-04', 'I', 'A broker that is away holds back the relays of that broker only'),
]

// biome-ignore format: one promise a line
const postgres: readonly Requirement[] = [
  proved(4, 'I4-PG-01', 'I', 'PostgreSQL passes the whole conformance suite of the store port'),
  proved(4, 'I4-PG-02', 'I', 'All of `npm test` passes on either store'),
  proved(4, 'I4-PG-03', 'I', 'Events become visible in the order of their numbers'),
  proved(4, 'I4-PG-04', 'I', '`regent migrate --to postgres://…` carries a home over'),
]

// biome-ignore format: one promise a line
const channels: readonly Requirement[] = [
  proved(4, 'I4-CH-01', 'I', '`pubsub_config.backend` msk, kafka, redis and memory with every key of the contract'),
  proved(4, 'I4-CH-02', 'I', 'Confirmation requests and answers travel on the agent\'s channel of either broker'),
  proved(4, 'I4-CH-03', 'I', 'Each agent has a group of its own: no message is taken by another'),
  proved(4, 'I4-CH-04', 'I', 'Messages sent while an agent was down are not lost: `latest` decides only where no offset is committed yet'),
  proved(4, 'I4-CH-05', 'I', 'An agent keeps talking to its broker while Regent is down'),
  proved(4, 'I4-CH-06', 'I', '100,000 messages through an echo agent while Regent and the agent are killed: each answered, duplicates carry the same id'),
]

// biome-ignore format: one promise a line
const doors: readonly Requirement[] = [
  proved(4, 'I4-CMD-01', 'I', 'The RabbitMQ door declares the exchanges and queues of the contract and takes its six commands as direct messages'),
  proved(4, 'I4-CMD-02', 'I', '`agent.created` and `agent.updated` trigger, but for Regent\'s own; `agent.pause` and `admin.agent.stop` work'),
  proved(4, 'I4-CMD-03', 'I', 'Events agent.created, started, stopped, deleted, health, updated, error and heartbeat come from the outbox'),
  proved(4, 'I4-CMD-04', 'I', 'Answers come on `reply_to`, and ownership is checked'),
  proved(4, 'I4-STOMP-01', 'I', 'The STOMP door serves both control queues: ping, status, start_testbed, stop_testbed and restart'),
  proved(4, 'I4-STOMP-02', 'I', 'Replies come where `reply_to` is given; what needs testbeds answers `not yet`'),
]

export const buses: readonly Requirement[] = [...adapters, ...operations, ...outbox, ...postgres, ...channels, ...doors]
