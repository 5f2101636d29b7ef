# frozen_string_literal: true

# A server around the lines at the head of docs/webhooks/verify.rb, which stand where it says LINES. Rack is no part of the
# standard library: what its specification makes of a request is made here.

require "socket"
require "stringio"
require "./verify"

def act_on(message) = File.write("acted", "#{message.id}\n", mode: "a")

keys = { "KEY_ID" => CountersignWebhooks::Key.new(secret: "SECRET") }
store = CountersignWebhooks::MemoryStore.new
app = lambda do |env|
  # LINES
end

listener = TCPServer.new("127.0.0.1", 0)
warn "http://127.0.0.1:#{listener.addr[1]}"
loop do
  socket = listener.accept
  socket.gets
  env = {}
  while (line = socket.gets.chomp) != ""
    name, value = line.split(": ", 2)
    name = "HTTP_#{name.upcase.tr("-", "_")}"
    env[name] = [*env[name], value].join(",")
  end
  env["rack.input"] = StringIO.new(socket.read(env.delete("HTTP_CONTENT_LENGTH").to_i))
  status, = app.call(env)
  socket.write("HTTP/1.1 #{status} x\r\nconnection: close\r\n\r\n")
  socket.close
end
