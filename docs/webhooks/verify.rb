# frozen_string_literal: true

# Verifies webhooks of Countersign with Ruby's standard library alone (3.1 or newer). Copy this file into your project: nothing
# else belongs to it. What it checks, and why in this order, is on the page wire-format.md beside it; Countersign's own
# tests run this file against that page's vectors.
#
#   request = CountersignWebhooks::Request.from_rack(env)
#   result = CountersignWebhooks.verify(request, keys, 300, Time.now, store)
#   act_on(result.message) if result.code == :accepted
#   [result.status, {}, []]

require "openssl"

module CountersignWebhooks
  MAX_BODY_BYTES = 256 * 1024
  KEEP_ID_S = 35 * 24 * 60 * 60 # longer than the sender can send it again

  # Every outcome, and the status that tells it to the sender.
  STATUSES = {
    accepted: 200,
    duplicate: 200, # acted on before: answer so, and do nothing
    too_large: 413,
    unsupported_encoding: 415,
    malformed: 400,
    stale: 408,
    future: 400,
    unknown_key: 401,
    bad_signature: 401,
    replayed: 409,
    unavailable: 503 # the store cannot remember: the sender tries again
  }.freeze

  # The headers that are read, and the form of each. \A and \z are the ends of the value, where ^ and $ are those of a line.
  CHARACTERS = /[0-9a-hjkmnp-tv-z]{26}/
  SIGNATURE = %r{[a-z][0-9a-z]*,[0-9A-Za-z+/]+={0,2}}
  FORMS = {
    "webhook-id" => /\Amsg_#{CHARACTERS}\z/,
    "webhook-timestamp" => /\A(0|[1-9][0-9]{0,11})\z/,
    "webhook-signature" => /\A#{SIGNATURE}( #{SIGNATURE}){0,3}\z/,
    "webhook-key-id" => /\Awhk_#{CHARACTERS}( whk_#{CHARACTERS})?\z/,
    "webhook-attempt-id" => /\Aatt_#{CHARACTERS}\z/
  }.freeze

  # What was sent, once it is verified: `id` is the same each time it is sent, `timestamp` is when this attempt was signed,
  # `attempt_id` is for your logs (v1 and v1a do not sign it), `body` is JSON, byte for byte as it was signed.
  Message = Struct.new(:id, :timestamp, :attempt_id, :body, keyword_init: true)

  # What to answer, and what to act on if `code` is :accepted. `message` is nil when it is refused.
  Result = Struct.new(:code, :message) do
    def status = STATUSES.fetch(code)
  end

  # A request as it came: `headers` are pairs of name and value, `body` is an IO.
  Request = Struct.new(:headers, :body) do
    def self.from_rack(env)
      headers = env.select { |name, _| name.start_with?("HTTP_") }
      new(headers.map { |name, value| [name.delete_prefix("HTTP_").tr("_", "-"), value] }, env["rack.input"])
    end

    def values(name) = headers.filter_map { |key, value| value if key.casecmp(name)&.zero? }
  end

  # What you hold of one key id: its secret ("whsec_…"), its public key ("whpk_…"), or both. The public half is enough, and
  # whoever steals it can forge nothing. Make keys when your program starts: one that is no key raises ArgumentError.
  class Key
    ED25519_PREFIX = ["302a300506032b6570032100"].pack("H*") # the DER of every such key begins so (RFC 8410 §4)

    def initialize(secret: nil, public: nil)
      raise ArgumentError, "a webhook key needs its secret (whsec_…) or its public key (whpk_…)" unless secret || public

      @secret = bytes(secret, "whsec_") if secret
      @public = OpenSSL::PKey.read(ED25519_PREFIX + bytes(public, "whpk_")) if public
    end

    # Schemes that it does not know sign nothing: there will be more.
    def signed?(text, scheme, signature)
      case scheme
      when "v1"
        # Compared in constant time, so that an answer's delay tells nobody how much of a forgery is right.
        !@secret.nil? && OpenSSL.secure_compare(OpenSSL::HMAC.digest("SHA256", @secret, text), signature)
      when "v1a"
        !@public.nil? && signature.bytesize == 64 && @public.verify(nil, signature, text)
      end
    rescue OpenSSL::PKey::PKeyError
      false
    end

    # Keeps the secret out of logs.
    def inspect = "#<#{self.class}>"

    private

    def bytes(text, prefix)
      decoded = CountersignWebhooks.base64(text.delete_prefix(prefix)) if text.start_with?(prefix)
      return decoded if decoded&.bytesize == 32

      raise ArgumentError, "a webhook key is #{prefix} and base64 of 32 bytes; copy it again from the endpoint's page"
    end
  end

  # Remembers an attempt (the pair of id and timestamp) until one time and the id of its message until a later one. It looks
  # and remembers in one step: of two equal requests at once, one is fresh. This one is for one process that may forget when it
  # restarts; `room` is how much it holds, two entries a message. Write another like it over your database, which writes the
  # message in the same transaction: a message that is lost after it was answered with 200 does not come again.
  class MemoryStore
    def initialize(room: 100_000)
      @room = room
      @until = {}
      @mutex = Mutex.new
    end

    # :accepted (it is remembered now), :duplicate (its id was there, the attempt is new and remembered now), :replayed
    # (this very attempt was there) or :unavailable (nothing could be remembered).
    def remember(message, now, attempt_until, id_until)
      @mutex.synchronize do
        attempt = "#{message.id}.#{message.timestamp}"
        next :replayed if holds?(attempt, now)

        @until.select! { |name, _| holds?(name, now) } if full?
        # A full store lets nothing in: to forget what still counts would let replays in.
        next :unavailable if full?

        @until[attempt] = attempt_until
        next :duplicate if holds?(message.id, now)

        @until[message.id] = id_until
        :accepted
      end
    end

    private

    def full? = @until.size + 2 > @room

    def holds?(name, now) = @until.key?(name) && @until[name] >= now
  end

  module_function

  # Judges a request by the keys that you hold, by their ids. It accepts a message once and refuses whatever is wrong in any
  # way; no input makes it raise. `window_s` is in seconds, `now` a Time.
  def verify(request, keys, window_s, now, store)
    # Counted while it arrives: the length that a sender declares is a claim.
    body = (request.body.read(MAX_BODY_BYTES + 1) || "").b
    return Result.new(:too_large) if body.bytesize > MAX_BODY_BYTES
    # What is signed is what was sent, so nothing is unpacked: no small body becomes a huge one.
    encodings = request.values("content-encoding")
    return Result.new(:unsupported_encoding) unless encodings.all? { |value| value.casecmp("identity")&.zero? }

    read = FORMS.map { |name, form| well_formed(request.values(name), form) }
    return Result.new(:malformed) unless read.all?

    id, timestamp, header, key_ids, attempt_id = read
    signatures = header.split.map { |part| part.split(",") }.map { |scheme, text| [scheme, base64(text)] }
    return Result.new(:malformed) unless signatures.all? { |_, signature| signature }

    age_s = now.to_r - timestamp.to_i
    return Result.new(:stale) if age_s > window_s
    return Result.new(:future) if age_s < -window_s

    held = keys.values_at(*key_ids.split).compact
    return Result.new(:unknown_key) if held.empty?

    text = "#{id}.#{timestamp}.".b + body
    signed = held.product(signatures).any? { |key, (scheme, signature)| key.signed?(text, scheme, signature) }
    return Result.new(:bad_signature) unless signed

    # Only what is genuine reaches the store, so that no stranger can fill it.
    message = Message.new(id: id, timestamp: timestamp.to_i, attempt_id: attempt_id, body: body)
    code = store.remember(message, now, now + (2 * window_s), now + KEEP_ID_S)
    Result.new(code, (message if STATUSES.fetch(code) == 200))
  end

  # The one value, in its form, or nil. Of a header that comes twice, another reader than this one may take the other value.
  def well_formed(values, form)
    value = values.first.to_s.b
    value if values.size == 1 && value.match?(form)
  end

  # Strict (RFC 4648 §3.5): there is one way to write a signature, and other ways are nil.
  def base64(text)
    text.unpack1("m0")
  rescue ArgumentError
    nil
  end
end
