// What /api/incidents answers; the fields of broker/incidents/projection.py and chain.py.

export interface IncidentRow {
  id: string;
  opened_at: string;
  ended_at: string | null;
  state: "open" | "ended";
  reason: string | null;
  host: string;
  user: string;
  system: string;
  technicians: string[];
  chats: number;
}

export interface IncidentEvent {
  number: number;
  at: string;
  kind: string;
  actor: string;
  data: Record<string, string | number | boolean>;
  hash: string;
}
