/** The body of a message: one event. */

import type { Bytes } from "./bytes.js";
import { parseJson } from "./json.js";
import { WebhookRefused } from "./refused.js";

/** What every event says of its place. `event` has the event's own members where the endpoint chose full messages. */
export interface EventData {
  readonly organization?: string;
  readonly environment?: "sandbox" | "live";
  readonly envelope?: string;
  /** The position in its stream, from 1. */
  readonly sequence?: number;
  /** The hash of the event in the evidence, in hexadecimal digits. */
  readonly sha256?: string;
  readonly event?: Readonly<Record<string, unknown>>;
  readonly [member: string]: unknown;
}

/** New types come without a new version: ignore those that you do not know. */
export interface WebhookEvent {
  readonly type: EventType;
  /** When it happened (RFC 3339, UTC), which is not when it was sent. */
  readonly timestamp: string;
  readonly data: EventData;
}

/** The types of today, and any that is to come. */
export type EventType =
  | "envelope.created"
  | "envelope.sent"
  | "envelope.sealing"
  | "envelope.sealed"
  | "envelope.voided"
  | "envelope.expired"
  | "envelope.downloaded"
  | "recipient.notified"
  | "recipient.bounced"
  | "recipient.signed"
  | "recipient.approved"
  | "recipient.read"
  | "recipient.declined"
  | "recipient.copied"
  | "evidence.exported"
  | (string & {});

/** The event of a body whose signature is right. */
export function eventOf(body: Bytes): WebhookEvent {
  const event = parsed(body);
  if (!isObject(event)) throw notAnEvent("The body must be one JSON object.");
  const { type, timestamp, data } = event;
  if (typeof type !== "string" || typeof timestamp !== "string" || !isObject(data)) {
    throw notAnEvent("The body must have type, timestamp and data.");
  }
  return { ...event, type, timestamp, data };
}

function parsed(body: Bytes): unknown {
  try {
    return parseJson(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(body));
  } catch {
    throw notAnEvent("The body must be JSON in UTF-8, without members of one name.");
  }
}

function notAnEvent(message: string): WebhookRefused {
  return new WebhookRefused("not_an_event", message);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
