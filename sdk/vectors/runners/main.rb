# frozen_string_literal: true

# Runs docs/webhooks/verify.rb, which is named first, over the vectors in the file that is named second. Prints what
# was judged otherwise than expected (then it exits with 1), each outcome with its status, and how many ran.

require "json"
require "stringio"
require File.expand_path(ARGV[0])

# What a receiver may hold: a vector of both profiles is for one who holds either half of a key, and for one who holds both.
def receivers(profiles)
  plain = %w[v1 v1a] & profiles
  plain.map { |profile| [profile] } + (plain.size == 2 ? [plain] : [])
end

# What was seen is an id, a timestamp and, where that differs, when it was seen.
def store_of(file, vector)
  window_s = file["receiver"]["window_s"]
  store = CountersignWebhooks::MemoryStore.new(room: vector["room"] || 100)
  vector["seen"].each do |id, timestamp, at|
    seen = Time.at(at || timestamp)
    message = CountersignWebhooks::Message.new(id: id, timestamp: timestamp)
    store.remember(message, seen, seen + (2 * window_s), seen + (35 * 24 * 60 * 60))
  end
  store
end

def run(file, vector, holds, store)
  keys = vector["keys"].to_h do |id|
    key = file["keys"].fetch(id)
    secret = (key["secret"] if holds.include?("v1"))
    [id, CountersignWebhooks::Key.new(secret: secret, public: (key["public"] if holds.include?("v1a")))]
  end
  body = StringIO.new(vector["request"]["body_base64"].unpack1("m0"))
  request = CountersignWebhooks::Request.new(vector["request"]["headers"], body)
  CountersignWebhooks.verify(request, keys, file["receiver"]["window_s"], Time.at(vector["now"]), store)
end

file = JSON.parse(File.read(ARGV[1], encoding: "UTF-8"))
stores = {} # vectors that name one come to the same receiver in turn
outcomes = Hash.new(0)
wrong = 0
file["vectors"].each do |vector|
  receivers(vector["profiles"]).each do |holds|
    stores.delete([nil, holds])
    store = (stores[[vector["store"], holds]] ||= store_of(file, vector))
    result = run(file, vector, holds, store)
    outcomes["#{result.code} #{result.status}"] += 1
    next if result.code.to_s == vector["expect"] && result.message.nil? == (result.status != 200)

    wrong += 1
    puts "wrong: #{vector["name"]}, with #{holds.join("+")}: #{result.code}"
  end
end
ran = outcomes.values.sum
outcomes.sort.each { |outcome, count| puts "#{outcome}: #{count}" }
puts "#{ran} ran, #{wrong} judged otherwise"
exit(ran.positive? && wrong.zero?)
