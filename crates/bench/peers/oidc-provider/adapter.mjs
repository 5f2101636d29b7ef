// What oidc-provider keeps, in PostgreSQL. Every act is one statement, so that of several at once one wins.
import { errors } from "oidc-provider";
import pg from "pg";

const SCHEMA = `
  CREATE TABLE kept (
    model text NOT NULL,
    id text NOT NULL,
    payload jsonb NOT NULL,
    grant_id text,
    user_code text,
    uid text,
    consumed_s bigint,
    expires_at timestamptz,
    PRIMARY KEY (id, model)
  );
  CREATE INDEX kept_by_grant ON kept (grant_id) WHERE grant_id IS NOT NULL;
  CREATE INDEX kept_by_user_code ON kept (user_code) WHERE user_code IS NOT NULL;
  CREATE INDEX kept_by_uid ON kept (uid) WHERE uid IS NOT NULL;`;

const INSERT = `
  INSERT INTO kept (model, id, payload, grant_id, user_code, uid, expires_at)
  VALUES ($1, $2, $3, $4, $5, $6, now() + make_interval(secs => $7))`;

// A name makes a statement one that each connection prepares once.
const UPSERT = {
  name: "upsert",
  text: `${INSERT} ON CONFLICT (id, model) DO UPDATE SET payload = excluded.payload, grant_id = excluded.grant_id,
    user_code = excluded.user_code, uid = excluded.uid, expires_at = excluded.expires_at`,
};
// The library looks before it keeps. Between the two another request may have kept the same: the row is taken once.
const SPEND = {
  name: "spend",
  text: `${INSERT} ON CONFLICT (id, model) DO UPDATE SET expires_at = excluded.expires_at
    WHERE kept.expires_at < now() RETURNING 1`,
};
const FIND = { name: "find", text: "SELECT payload, consumed_s FROM kept WHERE id = $1 AND model = $2" };
const FIND_BY_USER_CODE = {
  name: "find-by-user-code",
  text: "SELECT payload, consumed_s FROM kept WHERE user_code = $1 AND model = $2",
};
const FIND_BY_UID = {
  name: "find-by-uid",
  text: "SELECT payload, consumed_s FROM kept WHERE uid = $1 AND model = $2",
};
const CONSUME = {
  name: "consume",
  text: `UPDATE kept SET consumed_s = extract(epoch FROM now())::bigint
    WHERE id = $1 AND model = $2 AND consumed_s IS NULL RETURNING 1`,
};
const DESTROY = { name: "destroy", text: "DELETE FROM kept WHERE id = $1 AND model = $2" };
const REVOKE = { name: "revoke", text: "DELETE FROM kept WHERE grant_id = $1 AND model = $2" };

/** Makes the table in the database with this URL. */
export async function createSchema(url) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(SCHEMA);
  await client.end();
}

/** The adapter's class on the database with this URL, with a pool of `connections`. */
export function adapter(url, connections) {
  const pool = new pg.Pool({ connectionString: url, max: connections, min: connections, idleTimeoutMillis: 0 });
  const ask = (statement, ...values) => pool.query({ ...statement, values });

  const read = async (statement, key, model) => {
    const { rows: [row] } = await ask(statement, key, model);
    if (!row) return undefined;
    return row.consumed_s === null ? row.payload : { ...row.payload, consumed: Number(row.consumed_s) };
  };

  return class Adapter {
    constructor(model) {
      this.model = model;
    }

    async upsert(id, payload, expiresIn) {
      const statement = this.model === "ReplayDetection" ? SPEND : UPSERT;
      const { grantId = null, userCode = null, uid = null } = payload;
      const kept = await ask(statement, this.model, id, JSON.stringify(payload), grantId, userCode, uid, expiresIn);
      if (statement === SPEND && kept.rowCount === 0) throw new errors.InvalidRequest("used by another request");
    }

    find(id) {
      return read(FIND, id, this.model);
    }

    findByUserCode(userCode) {
      return read(FIND_BY_USER_CODE, userCode, this.model);
    }

    findByUid(uid) {
      return read(FIND_BY_UID, uid, this.model);
    }

    // Of requests with the same token at once one is answered; what the library finds consumed, it revokes itself.
    async consume(id) {
      const { rowCount } = await ask(CONSUME, id, this.model);
      if (rowCount === 0) throw new errors.InvalidGrant("used by another request");
    }

    async destroy(id) {
      await ask(DESTROY, id, this.model);
    }

    async revokeByGrantId(grantId) {
      await ask(REVOKE, grantId, this.model);
    }
  };
}
