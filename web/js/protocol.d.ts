// Generated from broker/protocol.py by tools/js_types.py.

export type State = "waiting" | "asked" | "live" | "paused" | "ended";

export type Status = "asked" | "allowed" | "declined" | "left";

export type EndReason = "person-ended" | "technician-ended" | "technicians-left" | "declined" | "not-answered" | "nobody-came" | "person-lost" | "technician-lost" | "log-failed" | "broker-stopped" | "broker-killed";

export type Refusal = "bad-message" | "bad-proof" | "version" | "sign-in" | "bad-link" | "origin" | "not-found" | "not-allowed" | "wrong-code" | "code-expired" | "code-used" | "code-burned" | "too-many-tries" | "session-over" | "busy" | "replaced" | "too-slow" | "no-common-codec" | "bad-offer" | "log-failed" | "stopping";

export type MediaFailure = "no-udp" | "lost" | "no-codec" | "capture";

export interface DeviceFacts {
  host: string;
  user: string;
  system: string;
  display: string;
  agent: string;
}

export interface Technician {
  id: string;
  name: string;
  organisation: string;
}

export interface Participant {
  technician: Technician;
  status: Status;
  connected: boolean;
  watching: boolean;
  trouble?: MediaFailure | null;
}

export interface AgentHello {
  type: "hello";
  version: number;
  product: string;
  device_key: string;
  proof: string;
  facts: DeviceFacts;
  language?: "en" | "es";
  resume?: string | null;
}

export interface Decide {
  type: "decide";
  participant: string;
  allowed: boolean;
}

export interface Dismiss {
  type: "dismiss";
  participant: string;
}

export interface NewCode {
  type: "new-code";
}

export interface Offer {
  type: "offer";
  sdp: string;
}

export interface MediaFailed {
  type: "media-failed";
  reason: MediaFailure;
}

export interface End {
  type: "end";
}

export interface ViewerHello {
  type: "hello";
  version: number;
  product: string;
}

export interface Leave {
  type: "leave";
}

export interface Invite {
  type: "invite";
}

export interface Challenge {
  type: "challenge";
  version: number;
  nonce: string;
}

export interface AgentWelcome {
  type: "agent-welcome";
  session: string;
  resumed: boolean;
}

export interface Ask {
  type: "ask";
  technician: Technician;
  step: "see";
  expires_in_s: number;
}

export interface AskWithdrawn {
  type: "ask-withdrawn";
  participant: string;
}

export interface Code {
  type: "code";
  code: string;
  expires_in_s: number;
}

export interface CodeGone {
  type: "code-gone";
  reason: "burned" | "expired" | "used";
}

export interface Answer {
  type: "answer";
  sdp: string;
}

export interface OfferWanted {
  type: "offer-wanted";
}

export interface Session {
  type: "session";
  session: string;
  state: State;
  facts: DeviceFacts;
  person_connected: boolean;
  participants: Participant[];
  person_trouble?: MediaFailure | null;
  resume_in_s?: number | null;
  ask_in_s?: number | null;
}

export interface Ended {
  type: "ended";
  reason: EndReason;
  by?: string;
}

export interface Refused {
  type: "refused";
  reason: Refusal;
  message: string;
  fatal?: boolean;
}

export interface ViewerWelcome {
  type: "viewer-welcome";
  technician: Technician;
}

export interface SessionRow {
  session: string;
  state: State;
  host: string;
  user: string;
  opened_at: string;
  status: Status;
}

export interface Sessions {
  type: "sessions";
  sessions: SessionRow[];
}

export interface Say {
  type: "say";
  id: string;
  text: string;
}

export interface ChatSince {
  type: "chat-since";
  number?: number;
}

export interface Said {
  type: "said";
  id: string;
  number: number;
  at: string;
}

export interface NotSaid {
  type: "not-said";
  id: string;
  reason: Refusal;
}

export interface Chat {
  type: "chat";
  number: number;
  id: string;
  participant: string;
  name: string;
  at: string;
  text: string;
}

export interface ViewerHello {
  type: "hello";
  version: number;
  product: string;
}

export interface _Opening {
  type: "hello";
  version: number;
}

export type FromViewer = ViewerHello | Offer | MediaFailed | Leave | Invite | End;

export type FromConsole = ViewerHello;

export type ToViewer = ViewerWelcome | Code | Answer | OfferWanted | Session | Ended | Refused;

export type ToConsole = ViewerWelcome | Sessions | Refused;

export type ChatFromPeer = Say | ChatSince;

export type ChatToPeer = Said | NotSaid | Chat;
