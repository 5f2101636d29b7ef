/** Verifies webhooks of Countersign. The format is `docs/webhooks/wire-format.md`. */

export type { EventData, EventType, WebhookEvent } from "./event.js";
export { RemoteJwkSet, type RemoteJwkSetOptions } from "./jwks.js";
export { jwkSet, staticKeys, type Algorithm, type KeySource, type KeyText, type VerificationKey } from "./keys.js";
export { WebhookConfigurationError, WebhookRefused, type RefusalCode } from "./refused.js";
export {
  MemoryReplayStore,
  RedisReplayStore,
  type Attempt,
  type MemoryReplayStoreOptions,
  type RedisClient,
  type ReplayStore,
  type Seen,
} from "./replay.js";
export type { BodySource, HeaderSource, WebhookRequest } from "./request.js";
export { checkOptions, verify, type VerifyOptions, type WebhookMessage } from "./verify.js";
