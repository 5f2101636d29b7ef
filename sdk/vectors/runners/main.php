<?php

/**
 * Runs docs/webhooks/verify.php, which is named first, over the vectors in the file that is named second. Prints what was
 * judged otherwise than expected (then it exits with 1), each outcome with its status, and how many ran.
 */

declare(strict_types=1);

use Countersign\Webhooks\{Key, MemoryStore, Message, Request, Result, Store};

use function Countersign\Webhooks\verify;

require realpath($argv[1]);

/** What a receiver may hold: a vector of both profiles is for one who holds either half of a key, and for one who holds both. */
function receivers(array $profiles): array
{
    $plain = array_values(array_intersect(['v1', 'v1a'], $profiles));
    $alone = array_map(fn (string $profile) => [$profile], $plain);
    return count($plain) === 2 ? [...$alone, $plain] : $alone;
}

/** What was seen is an id, a timestamp and, where that differs, when it was seen. */
function storeOf(array $file, array $vector): Store
{
    $windowS = $file['receiver']['window_s'];
    $store = new MemoryStore($vector['room'] ?? 100);
    foreach ($vector['seen'] as $seen) {
        $at = $seen[2] ?? $seen[1];
        $store->remember(new Message($seen[0], $seen[1], '', ''), $at, $at + 2 * $windowS, $at + 35 * 24 * 60 * 60);
    }
    return $store;
}

function run(array $file, array $vector, array $holds, Store $store): Result
{
    $keys = [];
    foreach ($vector['keys'] as $id) {
        ['secret' => $secret, 'public' => $public] = $file['keys'][$id];
        $keys[$id] = new Key(in_array('v1', $holds) ? $secret : null, in_array('v1a', $holds) ? $public : null);
    }
    $body = fopen('php://temp', 'w+b');
    fwrite($body, base64_decode($vector['request']['body_base64'], true));
    rewind($body);
    $request = new Request($vector['request']['headers'], $body);
    return verify($request, $keys, $file['receiver']['window_s'], $vector['now'], $store);
}

$file = json_decode(file_get_contents($argv[2]), true, 512, JSON_THROW_ON_ERROR);
$stores = []; // vectors that name one come to the same receiver in turn
$outcomes = [];
$wrong = 0;
foreach ($file['vectors'] as $vector) {
    foreach (receivers($vector['profiles']) as $holds) {
        $name = ($vector['store'] ?? '') . ' ' . implode('+', $holds);
        $store = isset($vector['store'], $stores[$name]) ? $stores[$name] : storeOf($file, $vector);
        $stores[$name] = $store;
        $result = run($file, $vector, $holds, $store);
        $outcomes[] = $result->outcome->value . ' ' . $result->outcome->status();
        $isTold = ($result->message !== null) === ($result->outcome->status() === 200);
        if ($result->outcome->value !== $vector['expect'] || !$isTold) {
            $wrong++;
            echo "wrong: {$vector['name']}, with ", implode('+', $holds), ": {$result->outcome->value}\n";
        }
    }
}
$counts = array_count_values($outcomes);
ksort($counts);
foreach ($counts as $outcome => $count) {
    echo "$outcome: $count\n";
}
echo count($outcomes), " ran, $wrong judged otherwise\n";
exit($outcomes !== [] && $wrong === 0 ? 0 : 1);
