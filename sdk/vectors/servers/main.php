<?php

// A server around the lines at the head of docs/webhooks/verify.php, which stand where it says LINES.

use Countersign\Webhooks\{Key, MemoryStore, Message, Outcome, Request};

use function Countersign\Webhooks\verify;

require 'verify.php';

function actOn(Message $message): void
{
    file_put_contents('acted', "$message->id\n", FILE_APPEND);
}

$keys = ['KEY_ID' => new Key('SECRET')];
$store = new MemoryStore();
// LINES
